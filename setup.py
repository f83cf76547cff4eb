"""Installs safe_locomotion, with pip into a virtual environment or with colcon into a workspace."""

from itertools import groupby
from pathlib import Path

from setuptools import find_packages, setup

NAME = "safe_locomotion"
VERSION = "0.2.0"
#: Stands for the addresses of the public project until it has some; .invalid resolves nowhere.
HOME = "https://safe-locomotion.invalid"
ROOT = Path(__file__).resolve().parent
SHARE = Path("share") / NAME

NODES = {
    **{
        f"{stage}_node": f"nodes.{stage}"
        for stage in ("bridge", "estimator", "policy", "supervisor", "mpc", "composed")
    },
    "monitor_node": "ui.monitor_node",
    "recorder_node": "recording.recorder_node",
    "viewer_node": "ui.viewer.viewer_node",
}

EXTRAS = {
    # The simulated robot speaks the protocols of the real ones, so it needs their libraries.
    "sim": [
        "mujoco>=3.1",
        "matplotlib>=3.7",
        "unitree-sdk2py-dimos>=1.0.3; platform_machine == 'x86_64'",
        "cyclonedds>=11.0; platform_machine == 'x86_64'",
    ],
    # cyclonedds has wheels for x86-64 only; its source is built with the help of the package wheel.
    "robot": [
        "unitree-sdk2py-dimos>=1.0.3",
        "cyclonedds>=11.0",
        "wheel>=0.43; platform_machine != 'x86_64'",
    ],
    # ROS 2 where no distribution is installed: PyPI carries it for x86-64 Linux only.
    "ros": [
        f"{package}; sys_platform == 'linux' and platform_machine == 'x86_64'"
        for package in (
            "ros-kilted-rclpy>=9.1",
            "ros-kilted-common-interfaces>=5.5",
            "ros-kilted-rmw-fastrtps-cpp>=9.3",
        )
    ],
    # Episodes: rosbag2 folders without ROS.
    "record": ["rosbags>=0.11"],
    # evdev comes as source, which needs a compiler and Linux headers, or apt's python3-evdev.
    # evdev-binary has its wheels.
    "gamepad": [
        "evdev-binary>=2.0; python_version >= '3.11' and platform_machine == 'x86_64'",
        "evdev>=1.6; python_version < '3.11' or platform_machine != 'x86_64'",
    ],
    # Signatures of policy files.
    "sign": ["cryptography>=42"],
    # Episodes in the viewer of rerun, which has no version for Python 3.10.
    "rerun": ["rerun-sdk>=0.41; python_version >= '3.11'"],
    # The robot in a web browser.
    "viewer": ["viser>=1.1,<1.2", "segno>=1.6"],
    # Evaluation on the machines of a cluster.
    "ray": ["ray>=2.40"],
    "bench": ["daqp>=0.7", "proxsuite>=0.6.5"],
    # Thousands of robots at once on a GPU.
    "train": ["torch>=2.8", "mjlab==1.6.*", "mujoco-warp>=3.11", "warp-lang>=1.15"],
    # Tests of learners and of exported policies; tools/setup.sh takes the CPU build.
    "torch": ["torch>=2.8,<2.14", "sb3-contrib>=2.7"],
    # The pages and the API as a site; neither has a version of this year for Python 3.10.
    "docs": [
        "zensical>=0.0.70; python_version >= '3.11'",
        "mkdocstrings-python>=2.0.6; python_version >= '3.11'",
    ],
    "test": [
        "pytest>=8.0",
        "pytest-cov>=5.0",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.5",
        "hypothesis>=6.100",
        "ruff>=0.6",
        "mypy>=1.11",
        "types-PyYAML>=6.0",
        "import-linter>=2.0",
        "evdev-binary>=2.0; python_version >= '3.11' and platform_machine == 'x86_64'",
        "msgspec>=0.18",  # these two speak to the viewer as its page does
        "zstandard>=0.20",
        "mujoco-warp>=3.11; platform_machine == 'x86_64'",  # batched robots, on the CPU
        "warp-lang>=1.15; platform_machine == 'x86_64'",
        # Wheels end with Python 3.11: pybullet, whose robot models ours are compared with, and
        # the vendor's UDP module.
        "pybullet>=3.2.6; python_version < '3.12' and platform_machine == 'x86_64'",
        "unitree-legged-sdk==3.8.20231105; "
        "python_version == '3.11' and platform_machine == 'x86_64'",
    ],
}


def shared_files() -> list[tuple[str, list[str]]]:
    """List what is read at run time, as (target folder, files), both relative for setuptools."""
    patterns = ("launch/*.launch.py", "config/**/*", "models/**/*")
    found = sorted(
        path.relative_to(ROOT)
        for pattern in patterns
        for path in ROOT.glob(pattern)
        if path.is_file()
    )
    folders = groupby(found, key=lambda path: path.parent)
    return [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (str(SHARE), ["package.xml"]),
        *((str(SHARE / folder), [str(path) for path in files]) for folder, files in folders),
    ]


setup(
    name=NAME,
    version=VERSION,
    description="Keeps a Unitree quadruped on its feet while a learned locomotion policy runs or "
    "is still learning.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="safe_locomotion maintainers",
    author_email="maintainers@safe-locomotion.invalid",
    url=HOME,
    project_urls={
        "Documentation": f"{HOME}/docs",
        "Source": f"{HOME}/source",
        "Issues": f"{HOME}/issues",
        "Changelog": f"{HOME}/source/CHANGELOG.md",
    },
    keywords="quadruped, legged locomotion, safe reinforcement learning, MPC, ROS 2, Unitree",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed", "training/gait/world/*.cu"]},
    data_files=shared_files(),
    zip_safe=False,
    install_requires=[
        "setuptools",
        "numpy>=1.26",
        "scipy>=1.11",
        "osqp>=1.0",
        "onnx>=1.17",
        "onnxruntime>=1.18",
        "pyyaml>=6.0",
        "pydantic>=2.5",
        "click>=8.1",
        "rich>=13.0",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "safe-locomotion = safe_locomotion.cli.main:main",
            *(f"{name} = {NAME}.{module}:main" for name, module in NODES.items()),
            "sim_robot = safe_locomotion.sim.__main__:main",
        ]
    },
)
