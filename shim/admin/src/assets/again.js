// A page that the browser kept, and shows on the way back, is asked for again: the session may have
// ended, and a new key is shown once. It is asked for by its address, so that no form is sent
// again.
"use strict";
addEventListener("pageshow", (event) => {
  if (event.persisted) location.replace(location.pathname + location.search);
});
