import { defineConfig } from "vite";

// The gateway serves dist/ at `/` under a policy that allows nothing inline, so nothing is inlined.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  server: { proxy: { "/api": process.env["SCHOOLGATE_URL"] ?? "http://127.0.0.1:8080" } },
});
