/** Keys that a page listens to. */

import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Listen to keys anywhere in the window with what was rendered last: from the moment that it stands in the page, and never with
 * what stood there before.
 */
export function useKeys(pressed: (event: KeyboardEvent) => void): void {
  const last = useRef(pressed);
  useLayoutEffect(() => void (last.current = pressed));
  useLayoutEffect(() => {
    const key = (event: KeyboardEvent) => last.current(event);
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}
