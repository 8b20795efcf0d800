// Tells tap which files a test may cover: all of `src`, since most tests here drive many files at once.
// Without it helpers and scripts would count, and lift or sink the figure of the product's own code.

/** Every test covers the source, and the source alone. */
export default () => ['src/**/*.ts']
