export default async (event) => { this.name = event.name; return this.name.length }
