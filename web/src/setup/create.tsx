/** A new project. */

import { useSignal } from "@preact/signals";
import { ask, type Schemas } from "../api/client";
import { once } from "../ui/once";
import { Cells } from "./cells";
import { Choice } from "./choice";
import { classesOf, ClassList, FIRST, type OwnClass } from "./classes";
import "./setup.css";
import { STRATEGIES, STRIDES } from "./strategies";

export function Create() {
  const name = useSignal("");
  const known = useSignal<"own" | "camvid" | "cityscapes">("own");
  const own = useSignal<readonly OwnClass[]>(FIRST);
  const suited = useSignal(true);
  const cell = useSignal({ height: 90, width: 80 });
  const stride = useSignal("");
  const batch = useSignal(24);
  const budget = useSignal<number | null>(480);
  const strategy = useSignal("auto");
  const trouble = useSignal<string | null>(null);
  const busy = useSignal(false);

  const create = async () => {
    if (name.value.trim() === "") throw new Error("The project has no name.");
    const settings = {
      ...(suited.value ? {} : { cell_height: cell.value.height, cell_width: cell.value.width }),
      ...(stride.value === "" ? {} : { stride: Number(stride.value) }),
      batch_size: batch.value,
      budget: budget.value,
      strategy: strategy.value,
    };
    const classes = known.value === "own" ? classesOf(own.value) : known.value;
    const made = await ask<Schemas["ProjectOut"]>("POST", "/projects", {
      body: { name: name.value.trim(), classes, settings },
    });
    location.hash = `#/projects/${made.id}/setup`;
  };

  return (
    <main class="setup">
      <h1>New project</h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          trouble.value = null;
          once(busy, create).catch((error: Error) => (trouble.value = error.message));
        }}
      >
        <label>
          Name
          <input
            required
            maxLength={100}
            value={name.value}
            onInput={(event) => (name.value = event.currentTarget.value)}
          />
        </label>
        <fieldset>
          <legend>Classes</legend>
          <select
            aria-label="Classes"
            value={known.value}
            onChange={(event) => (known.value = event.currentTarget.value as typeof known.value)}
          >
            <option value="own">My own</option>
            <option value="camvid">CamVid's eleven</option>
            <option value="cityscapes">Cityscapes' nineteen</option>
          </select>
          {known.value === "own" && <ClassList of={own} />}
        </fieldset>
        <fieldset>
          <legend>Regions</legend>
          <label class="check">
            <input
              type="checkbox"
              checked={suited.value}
              onChange={(event) => (suited.value = event.currentTarget.checked)}
            />
            Of a size that suits the images
          </label>
          {suited.value ? (
            <p class="hint">
              The first images choose: equal parts of about 90 × 80 pixels, and at least four rows and columns of them.
            </p>
          ) : (
            <>
              <div class="row">
                <Count
                  says="Height in pixels"
                  value={cell.value.height}
                  least={8}
                  set={(height) => (cell.value = { ...cell.value, height })}
                />
                <Count
                  says="Width in pixels"
                  value={cell.value.width}
                  least={8}
                  set={(width) => (cell.value = { ...cell.value, width })}
                />
              </div>
              <Cells {...cell.value} />
            </>
          )}
          <Choice says="The thinnest things are about as wide as" choices={STRIDES} of={stride} />
        </fieldset>
        <fieldset>
          <legend>Campaign</legend>
          <div class="row">
            <Count says="Regions a round" value={batch.value} least={1} set={(value) => (batch.value = value)} />
            <Count
              says="Regions in all"
              value={budget.value ?? 480}
              least={1}
              set={(value) => (budget.value = value)}
            />
          </div>
          <Choice says="What to ask for" choices={STRATEGIES} of={strategy} />
        </fieldset>
        {trouble.value !== null && (
          <p class="warning" role="alert">
            {trouble.value}
          </p>
        )}
        <button class="main" type="submit" disabled={busy.value}>
          Create
        </button>
      </form>
    </main>
  );
}

interface CountProps {
  readonly says: string;
  readonly value: number;
  readonly least: number;
  readonly set: (value: number) => void;
}

function Count({ says, value, least, set }: CountProps) {
  return (
    <label>
      {says}
      <input
        type="number"
        min={least}
        required
        value={value}
        onInput={(event) => event.currentTarget.validity.valid && set(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}
