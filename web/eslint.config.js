import js from "@eslint/js";
import tseslint from "typescript-eslint";

const only = (files, patterns, message) => ({
  files,
  rules: { "no-restricted-imports": ["error", { patterns: [{ group: patterns, message }] }] },
});

export default tseslint.config(
  { ignores: ["src/api/schema.d.ts", "node_modules"] },
  js.configs.recommended,
  tseslint.configs.strict,
  {
    rules: {
      // Typed arrays are read within their bounds; the compiler cannot know.
      "@typescript-eslint/no-non-null-assertion": "off",
      "max-lines": ["error", 300],
      eqeqeq: "error",
    },
  },
  only(["src/mask/**"], ["../*", "preact*", "@preact/*"], "Operations on masks are pure: they import nothing else."),
  only(["src/api/**"], ["../annotate/*", "../watch/*", "../ui/*"], "The client knows no pages."),
  only(["src/ui/**"], ["../annotate/*", "../review/*", "../watch/*"], "Parts of pages know no pages."),
  only(["src/annotate/**"], ["../watch/*", "../setup/*", "../review/*"], "Pages do not know each other."),
  only(["src/watch/**"], ["../annotate/*", "../setup/*", "../review/*"], "Pages do not know each other."),
  only(
    ["src/review/**"],
    ["../annotate/page", "../watch/*", "../setup/*"],
    "Reviewers paint with the tools of the page beside.",
  ),
  only(["src/setup/**"], ["../annotate/*", "../watch/*", "../review/*"], "Pages do not know each other."),
);
