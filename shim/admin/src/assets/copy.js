// Copies a new key. Without this file, it is marked and copied by hand.
"use strict";
const button = document.getElementById("copy");
const key = document.getElementById("new-key");
if (button && key && navigator.clipboard) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = document.getElementById("copy-said");
    try {
      await navigator.clipboard.writeText(key.textContent);
      said.textContent = button.dataset.copied;
    } catch {
      getSelection().selectAllChildren(key);
    }
  });
}
