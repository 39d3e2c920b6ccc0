// Gradio puts one button for more files into another. The outer one, which says what it is, does the work of the inner
// one, which is hidden.
document.addEventListener("click", (event) => {
  if (event.target.tagName === "INPUT") return;
  event.target.closest(".icon-button")?.querySelector("input[type=file]")?.click();
});
