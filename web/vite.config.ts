import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

export default defineConfig({
  // Wherever the service is mounted, the page finds its files beside itself.
  base: "./",
  plugins: [preact({ devToolsEnabled: false, prefreshEnabled: false })],
  build: {
    outDir: "../service/static",
    emptyOutDir: true,
    target: "es2022",
    // The policy of the page allows no data: scripts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ["/session", "/projects", "/regions", "/images", "/labels", "/next-regions", "/jobs", "/workers"].map((path) => [
        path,
        "http://127.0.0.1:8000",
      ]),
    ),
  },
});
