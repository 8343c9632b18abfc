export const props = { n: { type: 'integer', default: 3 } }
export async function run() {
  return this.n
}
