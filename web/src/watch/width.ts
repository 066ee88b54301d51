/** How wide an element is, so that charts are drawn in the pixels that they are seen in. */

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function useWidth<T extends HTMLElement>(first: number): [RefObject<T | null>, Signal<number>] {
  const element = useRef<T | null>(null);
  const width = useSignal(first);
  useEffect(() => {
    if (element.current === null) return;
    const watching = new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) width.value = Math.round(entry.contentRect.width);
    });
    watching.observe(element.current);
    return () => watching.disconnect();
  }, []);
  return [element, width];
}
