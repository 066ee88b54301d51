/** What a page is called in the browser's tab, and where the focus is once it is there. */

import { useEffect } from "preact/hooks";
import { focusOn } from "./ui/focus";

/** Which page had the focus last; the first one that is seen leaves it where the browser has it. */
let last: string | null = null;

/** What stands for a page, the best first. */
const HEADINGS = ["main h1", "main [role=application]", "main"];

/** Name the page, from its own name to that of the project; another page than before has the focus at its heading. */
export function useTitle(names: readonly string[]): void {
  const title = [...names, "regionwise"].join(" · ");
  useEffect(() => {
    document.title = title;
    const page = location.hash.split("?")[0]!.split("/").slice(0, 4).join("/");
    if (page === last) return;
    const heading = HEADINGS.map((each) => document.querySelector<HTMLElement>(each)).find((each) => each !== null);
    if (heading === undefined) return; // it comes with another title
    if (last !== null) focusOn(heading);
    last = page;
  }, [title]);
}
