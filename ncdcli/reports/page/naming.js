// Names typed on the cards, saved as the `clusters.csv` that `ncd label` reads.
(() => {
  const rows = dataOf("clusters-data");
  const button = byId("save-names");
  if (!rows || !button) return;
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : String(text));
  const typed = (kind, number) => {
    const input = document.querySelector(`[data-${kind}="${number}"]`);
    return input ? input.value.trim() : "";
  };
  button.addEventListener("click", () => {
    const lines = [["cluster", "size", "match", "suggested_name", "name", "merge_into", "note"]];
    for (const row of rows) {
      const merged = typed("merge", row.number) || (row.merge_into ?? "");
      lines.push([row.number, row.size, row.match, row.suggested_name, typed("name", row.number), merged, row.note]);
    }
    const text = lines.map((cells) => cells.map((cell) => quoted(String(cell))).join(",")).join("\n") + "\n";
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "clusters.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
