/** The keys of the review page. */

import { Dialog } from "../ui/dialog";

const KEYS: readonly (readonly [string, string])[] = [
  ["1 – 9", "Accept that label"],
  ["← →", "Choose a label"],
  ["a, Enter", "Accept the chosen label"],
  ["c", "Correct the chosen label by painting"],
  ["r", "Say why it is rejected; Enter rejects, Escape leaves"],
  ["d", "Show differences only, or whole labels"],
  ["[ ]", "More or less of the image seen through"],
  ["l", "Look at this one later"],
  ["?", "This list"],
];

export function Keys({ close }: { close: () => void }) {
  return (
    <Dialog title="Keys" close={close}>
      <ul class="review-keys">
        {KEYS.map(([keys, says]) => (
          <li key={keys}>
            <kbd>{keys}</kbd>
            <span>{says}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
