// Looks whether the page would say something else by now, and only then goes there, so that nobody
// is interrupted in reading. Without this the page reloads itself.
"use strict";
(() => {
  const waiting = document.querySelector("[data-waiting]");
  if (!waiting) return;
  const { waiting: address, stands, seconds } = waiting.dataset;

  const look = async () => {
    try {
      const answer = await fetch(address, { cache: "no-store" });
      const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = parsed.querySelector("[data-waiting]");
      if (answer.ok && found?.dataset.stands !== stands) {
        location.replace(address);
        return;
      }
    } catch {
      // no network for a moment: the next look will tell
    }
    again();
  };

  const again = () => setTimeout(look, 1000 * Number(seconds));
  again();
})();
