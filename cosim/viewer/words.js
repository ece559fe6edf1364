// Words that the drawings have in common.
const plural = (count, one, many) => `${figure(count)} ${count === 1 ? one : many}`;
const range = (count) => Array.from({length: count}, (_, index) => index);

// "PE 3", "PEs 1, 2 and 5", "7 PEs"
function listed(numbers, one) {
  if (numbers.length > 4) return `${numbers.length} ${one}s`;
  if (numbers.length === 1) return `${one} ${numbers[0]}`;
  return `${one}s ${numbers.slice(0, -1).join(", ")} and ${numbers[numbers.length - 1]}`;
}

// One sentence of several parts.
function sentenceOf(parts) {
  const text = parts.length > 1 ? `${parts.slice(0, -1).join(", ")}, and ${parts[parts.length - 1]}` : parts[0];
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
