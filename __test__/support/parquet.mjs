// A reader of Parquet that shares no code with the one who writes it.

import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'

/**
 * Returns the rows of an object, and its columns.
 *
 * @param {Buffer} bytes
 */
export async function readParquet(bytes) {
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const [, ...columns] = parquetMetadata(/** @type {ArrayBuffer} */ (file)).schema
  const rows = await parquetReadObjects({ file: /** @type {ArrayBuffer} */ (file), compressors })
  return { rows, columns: columns.map(({ name, type }) => [name, type]) }
}
