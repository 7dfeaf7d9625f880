/**
 * Calls that are made in one turn of the event loop, done as one: what these systems' own workers do with batches, so that
 * their statements are counted as their users have them.
 */
export function gathered(most, work) {
  let waiting = [];
  const flush = async () => {
    const batch = waiting.splice(0, most);
    if (waiting.length > 0) setImmediate(() => void flush());
    try {
      const values = await work(batch.map(({ input }) => input));
      batch.forEach(({ resolve }, i) => resolve(values[i]));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  };
  return (input) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(() => void flush());
      waiting.push({ input, resolve, reject });
    });
}
