import { beforeEach, expect, test } from "vitest";
import { answer, refused } from "./browser";
import api from "../openapi.json";
import { Edits } from "../src/setup/edits";
import { textOf, valueOf, type Values } from "../src/setup/fields";
import { FIELDS } from "../src/setup/groups";

interface Described {
  readonly type?: string;
  readonly enum?: unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly anyOf?: Described[];
}

const { ProjectPatch, ProjectSettings } = api.components.schemas;
const DESCRIBED = { ...ProjectSettings.properties, ...ProjectPatch.properties } as unknown as Record<string, Described>;
const HELD = {
  name: "streets",
  open_to_all: false,
  strategy: "auto",
  batch_size: 24,
  budget: 480,
  lookahead: true,
  segmenter: "efficientnet-lite0",
  encoder: "frozen",
  learning: "refit",
  stride: 4,
  gold_share: 0.07,
  gold_threshold: null,
} as unknown as Values;

let asked: unknown[];
let edits: Edits;

/** A project that has what is sent, and what follows from it. */
const changed = (body: unknown, follows: object = {}) => {
  const { settings, ...beside } = body as { settings?: object };
  const { name, open_to_all, ...held } = HELD;
  return { name, open_to_all, ...beside, settings: { ...held, ...settings, ...follows } };
};
const serve = (follows: object = {}) =>
  answer((method, path, body) => {
    asked.push([method, path, body]);
    return changed(body, follows);
  });
const sent = () => asked.map((each) => (each as [string, string, { settings: unknown }])[2].settings);

beforeEach(() => {
  asked = [];
  serve();
  edits = new Edits(1, HELD);
});

test("all that may change has a field, and nothing else; a campaign is paused elsewhere", () => {
  const { settings } = ProjectPatch.properties;
  const changeable = settings.description.split("meanwhile: ")[1]!.replace(/\.$/, "").split(", ");
  const beside = Object.keys(ProjectPatch.properties).filter((name) => !["settings", "active"].includes(name));
  expect([...FIELDS.keys()].sort()).toEqual([...changeable, ...beside].sort());
});

test.each([...FIELDS.values()])("$name may be what the service takes", (field) => {
  const described = DESCRIBED[field.name]!;
  const kinds = described.anyOf ?? [described];
  const own = kinds.find(({ type }) => type !== "null")!;
  const mayBeNull = kinds.some(({ type }) => type === "null");
  const { by } = field;
  if (by === "check") expect(own.type).toBe("boolean");
  else if (by === "segmenter") expect(own.pattern).toContain("smp:");
  else if ("longest" in by) expect([own.minLength, own.maxLength]).toEqual([1, by.longest]);
  else if ("choices" in by) {
    const values = by.choices.map(([word]) => valueOf(field, word));
    const taken = own.enum ?? [own.minimum, 1.5, own.maximum]; // the magnification
    expect(new Set(values)).toEqual(new Set(mayBeNull ? [...taken, null] : taken));
  } else {
    const [least, most] = [by.least, by.most].map((each) => valueOf(field, String(each)) as number);
    if (own.minimum === undefined) expect(least).toBeGreaterThan(own.exclusiveMinimum!);
    else expect(least).toBe(own.minimum);
    if (own.maximum === undefined) expect(most).toBeLessThan(own.exclusiveMaximum!);
    else expect(most).toBe(own.maximum);
    expect([by.none !== undefined, by.step === 1]).toEqual([mayBeNull, own.type === "integer"]);
  }
});

test("what was changed is sent, and nothing else", async () => {
  edits.type("batch_size", "12");
  edits.type("strategy", "entropy");
  edits.type("lookahead", "false");
  edits.type("strategy", "auto");
  expect(edits.changes.value.map(({ field, from, to }) => [field.name, from, to])).toEqual([
    ["batch_size", "24", "12"],
    ["lookahead", "yes", "no"],
  ]);
  await edits.save();
  expect(asked).toEqual([["PATCH", "/projects/1", { settings: { batch_size: 12, lookahead: false } }]]);
  expect([edits.changes.value, edits.saved.value, edits.text("batch_size")]).toEqual([[], "Saved.", "12"]);
});

test("what is no setting is sent beside the settings, and these only where some are changed", async () => {
  edits.type("name", " night ");
  edits.type("open_to_all", "true");
  expect(edits.changes.value.map(({ field, from, to }) => [field.says, from, to])).toEqual([
    ["Name", "streets", "night"],
    ["Open to all", "no", "yes"],
  ]);
  await edits.save();
  expect([edits.changes.value, edits.text("name"), edits.text("open_to_all")]).toEqual([[], "night", "true"]);
  edits.type("name", "day");
  edits.type("batch_size", "12");
  await edits.save();
  edits.type("open_to_all", "true");
  await edits.save();
  expect(asked.map((each) => (each as unknown[])[2])).toEqual([
    { name: "night", open_to_all: true },
    { name: "day", settings: { batch_size: 12 } },
    { open_to_all: true },
  ]);
});

test("a name is as another one without the spaces around it, and is taken back like a setting", async () => {
  edits.type("name", "streets ");
  expect(edits.changes.value).toEqual([]);
  edits.type("name", "night");
  edits.held.value = { ...HELD, name: "roads" };
  expect(edits.changes.value.map(({ from, to, overtaken }) => [from, to, overtaken])).toEqual([
    ["roads", "night", true],
  ]);
  const errors = [{ at: "body.name", message: "Control characters are not allowed here" }];
  const body = JSON.stringify({ error: { code: "invalid_request", message: "…", detail: { errors } } });
  answer(() => new Response(body, { status: 422 }));
  await edits.save();
  expect(edits.refused.value).toBe("Name: Control characters are not allowed here.");
  edits.undo();
  expect([edits.text("name"), edits.changes.value]).toEqual(["roads", []]);
});

test("an empty field is none, a share is typed as percent, and a number written otherwise is the same", async () => {
  expect([edits.text("gold_share"), edits.text("gold_threshold")]).toEqual(["7", ""]);
  edits.type("budget", "");
  edits.type("stride", "");
  edits.type("gold_share", "14.5");
  edits.type("gold_threshold", "70");
  edits.type("batch_size", "24.0");
  await edits.save();
  expect(sent()).toEqual([{ budget: null, stride: null, gold_share: 0.145, gold_threshold: 0.7 }]);
});

test("nothing is sent where nothing is changed, or once it was undone", async () => {
  edits.type("batch_size", "12");
  edits.undo();
  await edits.save();
  expect([asked, edits.text("batch_size")]).toEqual([[], "24"]);
});

test("what follows another segmenter is left to the service, and what it chose is said", async () => {
  serve({ encoder: "trained", learning: "pass" });
  edits.type("segmenter", "fpn");
  expect([edits.text("encoder"), edits.text("learning")]).toEqual(["", ""]);
  await edits.save();
  expect(sent()).toEqual([{ segmenter: "fpn" }]);
  expect(edits.saved.value).toBe("Saved. Encoder is trained. Learning is pass.");
  expect(edits.text("encoder")).toBe("trained");
});

test("what would follow is sent where somebody chose it, also where it is as it was", async () => {
  edits.type("segmenter", "fpn-resnet50");
  edits.type("encoder", "frozen");
  await edits.save();
  expect(sent()).toEqual([{ segmenter: "fpn-resnet50", encoder: "frozen" }]);
});

test("what is refused stays as it was typed, and the field is called by its name", async () => {
  answer(() => refused(422, "There is no such thing."));
  edits.type("batch_size", "12");
  await edits.save();
  expect([edits.refused.value, edits.text("batch_size")]).toEqual(["There is no such thing.", "12"]);
  const errors = [{ at: "body.settings.batch_size", message: "Input should be less than 9" }];
  const body = JSON.stringify({ error: { code: "invalid_request", message: "…", detail: { errors } } });
  answer(() => new Response(body, { status: 422 }));
  await edits.save();
  expect(edits.refused.value).toBe("Regions a round: Input should be less than 9.");
  serve();
  await edits.save();
  expect([edits.refused.value, edits.changes.value]).toEqual([null, []]);
});

test("what others change meanwhile is seen, is not sent, and is not taken for one's own", async () => {
  edits.type("batch_size", "12");
  edits.held.value = { ...HELD, batch_size: 30, budget: 960 };
  expect([edits.text("batch_size"), edits.text("budget")]).toEqual(["12", "960"]);
  expect(edits.changes.value.map(({ from, to, overtaken }) => [from, to, overtaken])).toEqual([["30", "12", true]]);
  await edits.save();
  expect(sent()).toEqual([{ batch_size: 12 }]);
});

test("what is typed while it is saved is not saved yet", async () => {
  answer((_, __, body) => {
    edits.type("batch_size", "13");
    return changed(body);
  });
  edits.type("batch_size", "12");
  edits.type("budget", "96");
  await edits.save();
  expect(edits.changes.value.map(({ from, to, overtaken }) => [from, to, overtaken])).toEqual([["12", "13", false]]);
});

test("a share is typed without what binary numbers leave behind", () => {
  const field = FIELDS.get("max_skip_share")!;
  expect([textOf(field, 0.07), textOf(field, 0.29), valueOf(field, "29")]).toEqual(["7", "29", 0.29]);
});
