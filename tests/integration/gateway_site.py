"""The gateway door with the pages of the table: nginx relays, and gatehouse runs the scripts itself."""

import shutil

import door_table
import harness
from door_table import PAGES

ROUTES = door_table.routes(downstream="scripts")


class GatewaySite(harness.Site):
    """The pages are run by gatehouse: copies of the CGI script `show`."""

    def __init__(self):
        super().__init__(prepare=self.copy_pages, routes=ROUTES)
        self.root = self.gatehouse.root

    @staticmethod
    def copy_pages(gatehouse):
        for path in PAGES.values():
            script = gatehouse.root / path.strip("/")
            script.parent.mkdir(exist_ok=True)
            shutil.copy(gatehouse.root / "show", script)
