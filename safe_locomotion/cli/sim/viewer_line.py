"""The line with address and token that the web viewer logs when it is ready."""

from pathlib import Path

from rich.console import Console

from safe_locomotion.ui.viewer.link import in_terminal

LOG = "viewer_node.log"
BEGINNINGS = ("viewer: ", "error: ")
LINK = "viewer, with the token: "
PHONE = "viewer, for a phone: "


class ViewerLine:
    """Look into the viewer's log until the line is there; without a viewer show nothing."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / LOG
        self._shown = False

    def show(self, console: Console) -> None:
        """Print the line once, as soon as it is complete."""
        if self._shown or not self._log.is_file():
            return
        lines = self._log.read_text(errors="replace").split("\n")[:-1]
        said = next((line for line in lines if line.startswith(BEGINNINGS)), "")
        if said:
            self._shown = True
            console.print(said.replace("error: ", "viewer: "), markup=False, highlight=False)
            for link in lines:
                if link.startswith((LINK, PHONE)):
                    console.print(link, markup=False, highlight=False)
                if link.startswith(PHONE) and console.is_terminal:
                    console.out(in_terminal(link.removeprefix(PHONE)), highlight=False)
