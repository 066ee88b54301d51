/** Small pictures of tools, drawn with lines of the text's colour. */

const PATHS: Record<string, string> = {
  brush: "M4 20c3 0 4-2 4-4a3 3 0 0 1 6 0c0 3-3 5-6 5-2 0-3-1-4-1ZM12 13 20 4",
  eraser: "m4 15 8-9 7 6-7 8H8zM9 9l8 7M8 20h12",
  polygon: "M5 8 12 3l8 6-3 10H7zM5 8v0M12 3v0M20 9v0",
  fill: "m4 12 8-8 8 8-8 8zM4 12h16M20 16c1 2 2 3 2 4a1 1 0 0 1-3 0c0-1 0-2 1-4",
  replace: "M4 7h12l-3-3M20 17H8l3 3",
  smart: "M5 19 15 9M13 4v3M18 5l-2 2M20 10h-3M19 14l-2-1M9 5l1 2",
  hand: "M8 12V6a1.5 1.5 0 0 1 3 0v5V4a1.5 1.5 0 0 1 3 0v7V6a1.5 1.5 0 0 1 3 0v8c0 4-2 7-6 7-3 0-5-2-6-5l-2-4c0-2 2-2 3-1z",
  undo: "M9 7 4 11l5 4M4 11h10a5 5 0 0 1 0 9h-3",
  redo: "m15 7 5 4-5 4M20 11H10a5 5 0 0 0 0 9h3",
  fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12ZM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6",
  help: "M9 9a3 3 0 1 1 4 3c-1 1-1 1-1 3M12 19v0",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name] ?? ""} />
    </svg>
  );
}
