/** The versions of a region's label: to start from, and to compare with. */

import type { Schemas } from "../api/client";
import type { Version } from "./correction";

interface VersionsProps {
  readonly versions: readonly Version[];
  readonly base: Version;
  readonly compared: Version | null;
  readonly start: (version: Version) => void;
  readonly compare: (version: Version | null) => void;
}

export function Versions({ versions, base, compared, start, compare }: VersionsProps) {
  return (
    <section class="versions" aria-label="Versions">
      <h2>Versions</h2>
      <ol>
        {[...versions].reverse().map((each) => (
          <li key={each.id} class={each === base ? "base" : ""}>
            <span class="kind">{said(each)}</span>
            <time dateTime={each.created_at}>{new Date(each.created_at).toLocaleString()}</time>
            <span class="row">
              <button type="button" onClick={() => start(each)} title="Paint over the label map of this version">
                Start from it
              </button>
              <button
                type="button"
                aria-pressed={compared === each}
                title="Mark where it differs from what is painted"
                onClick={() => compare(compared === each ? null : each)}
              >
                Compare
              </button>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

/** A version in words. */
export function said(version: Schemas["VersionOut"]): string {
  return `${version.version}: ${version.kind} by ${version.annotator_name}`;
}
