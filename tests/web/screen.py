"""An annotator before the page: points at pixels of the region with the mouse, and reads what is shown."""

import re
from collections.abc import Mapping, Sequence

from playwright.sync_api import Page, expect

from service.tables import Region

# As the page fits a region into its canvas.
ROOM = 0.86


class Screen:
    """A page with a region on it."""

    def __init__(self, page: Page, regions: Mapping[int, Region]) -> None:
        self.page = page
        self._regions = regions

    def wait_for_region(self) -> Region:
        """The region that is shown, once one is."""
        about = self.page.locator(".about")
        expect(about).to_be_visible(timeout=30_000)
        return self.region()

    def region(self) -> Region:
        """The region that is shown now."""
        text = self.page.locator(".about").inner_text()
        found = re.search(r"(\d+) × (\d+) at \((\d+), (\d+)\)", text)
        assert found, text
        name = text.splitlines()[0]
        x, y = int(found[3]), int(found[4])
        return next(
            each for each in self._regions.values() if (each.col, each.row) == (x, y) and self._named(each, name)
        )

    def _named(self, region: Region, name: str) -> bool:
        order = sorted({each.image_id for each in self._regions.values()})
        return order.index(region.image_id) == int(name.removesuffix(".png"))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the region, in pixels, is on the screen while the region is fitted."""
        region = self.region()
        box = self.page.get_by_role("application").bounding_box()
        assert box
        scale = ROOM * min(box["width"] / region.width, box["height"] / region.height)
        left = box["x"] + box["width"] / 2 - scale * region.width / 2
        top = box["y"] + box["height"] / 2 - scale * region.height / 2
        return left + scale * x, top + scale * y

    def drag(self, *places: tuple[float, float]) -> None:
        """Press at the first place, move over the others, and let go."""
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up()

    def click(self, x: float, y: float) -> None:
        """Click at a place of the region."""
        self.page.mouse.click(*self.at(x, y))

    def polygon(self, corners: Sequence[tuple[float, float]]) -> None:
        """Click corners; Enter closes it."""
        for corner in corners:
            self.click(*corner)
        self.page.keyboard.press("Shift+Enter")

    def keys(self, *names: str) -> None:
        """Press keys one after the other."""
        for name in names:
            self.page.keyboard.press(name)

    def square_brush(self, size: int) -> None:
        """A brush of so many pixels."""
        if self.page.get_by_role("button", name="Shape: round").is_visible():
            self.page.get_by_role("button", name="Shape: round").click()
        output = self.page.locator(".brush output")
        for _ in range(60):
            now = int(output.inner_text().split()[0])
            if now == size:
                return
            self.keys("[" if now > size else "]")
        raise AssertionError("the brush does not become so large")

    def submit(self) -> None:
        """Send what is painted, and wait until the next region, or that there is none, is shown."""
        shown = self.page.locator(".about, .stage .waiting").first.inner_text()
        self.keys("Control+Enter")
        expect(self.page.locator(".about, .stage .waiting").first).not_to_have_text(shown)
