// Says, while addresses are typed, what is none. The server decides when the form is sent.
"use strict";
const field = document.getElementById("ips");

function isIpv4(text) {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && part <= 255);
}

function isIpv6(text) {
  return /^[0-9a-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]/`);
}

function isNetwork(text) {
  const [, address, bits = "0"] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  if (address === undefined) return false;
  return (isIpv4(address) && bits <= 32) || (isIpv6(address) && bits <= 128);
}

function judge(text) {
  const wrong = text.split(/[\s,;]+/).filter((entry) => entry && !isNetwork(entry));
  const said = document.getElementById("ips-said");
  said.textContent = wrong.length ? said.dataset.wrong + wrong.join(", ") : "";
  if (wrong.length) field.setAttribute("aria-invalid", "true");
  else field.removeAttribute("aria-invalid");
}

if (field) {
  // What is being typed is not finished.
  field.addEventListener("input", () => judge(field.value.replace(/[^\s,;]*$/, "")));
  field.addEventListener("change", () => judge(field.value));
}
