// Makes a key for whoever asks; it is shown once and kept nowhere in the browser.
import { element, fill, get } from "./page.js";

export function startKeys() {
  document.getElementById("key-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = document.getElementById("key-answer");
    const label = document.getElementById("key-label").value.trim();
    try {
      const { body } = await get("/keys/public", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ label }),
      });
      fill(answer,
        element("p", {}, "Keep it now: it is not shown again."),
        element("pre", { tabindex: "0" }, body.token),
        element("p", { class: "quiet" }, `Send it as the header "Authorization: Bearer ...". It ends on ${body.key.expiresAt.slice(0, 10)}.`));
    } catch (error) {
      fill(answer, element("p", { class: "error" }, error.message));
    }
  });
}
