import { expect, test } from "vitest";
import { answer } from "./browser";
import { ask, bytes, file, sentence, Unreachable } from "../src/api/client";
import { Upload } from "../src/setup/upload";

const page = () => new Response("<html>Log in</html>", { headers: { "Content-Type": "text/html; charset=utf-8" } });
const said = (asked: Promise<unknown>) =>
  asked.then(
    () => "nothing",
    (error: Error) => [error instanceof Unreachable, error.message],
  );

test("a page in the place of an answer, such as a proxy's login, is said in a sentence and taken for no answer", async () => {
  answer(page);
  const expected = [
    true,
    expect.stringMatching(/^The service cannot be reached: another page came in its place\..*in another tab\.$/),
  ];
  for (const asked of [
    ask("GET", "/projects/1"),
    bytes("/regions/1/crop"),
    file("/projects/1/annotators?format=csv"),
  ]) {
    expect(await said(asked)).toEqual(expected);
  }
});

test("what is no JSON is said in a sentence, too", async () => {
  answer(() => new Response("OK"));
  expect(await said(ask("GET", "/projects/1"))).toEqual([
    true,
    "The service cannot be reached: what came is not its answer.",
  ]);
});

test("who works is told besides that their work is kept", async () => {
  answer(page);
  const error = await ask("GET", "/projects/1").catch((found: unknown) => found);
  expect(sentence(error)).toMatch(/in another tab\. Your work is kept in this browser\.$/);
});

test("files whose answer is a page are kept, to be sent again", async () => {
  answer(page);
  const upload = new Upload(1);
  await upload.take([new File(["pixels"], "a.png")], "images", { split: "pool", reading: "" });
  expect([upload.refused.value, upload.unsent.value.length]).toEqual([[], 1]);
});
