"""Where tests find the checkout, recorded data, and the programs that they start."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "test/data"
HELPERS = ROOT / "test/helpers"
VENDOR_SERVICES = HELPERS / "vendor_services.py"
