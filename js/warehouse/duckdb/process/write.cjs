// @ts-check
'use strict'

// Rows of a result as JSON or CSV.

/** Whole numbers that DuckDB has and a JSON reader may not. */
const BIG = new Set(['BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT'])

/** @typedef {import('@duckdb/node-api').Json} Json */
/** @template T @typedef {import('@duckdb/node-api').DuckDBValueConverter<T>} Converter */

/**
 * @param {typeof import('@duckdb/node-api')} duckdb
 * @param {'json' | 'csv'} format
 * @param {string[]} names
 */
function createWriter(duckdb, format, names) {
  const { JsonDuckDBValueConverter, DuckDBTypeId } = duckdb

  /** @type {Converter<NonNullable<Json>>} */
  function converted(value, type, converter) {
    if (value === null) return null
    if (BIG.has(DuckDBTypeId[type.typeId]) && typeof value === 'bigint') {
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
    }
    const ofAny = /** @type {Converter<Json>} */ (converter)
    return JsonDuckDBValueConverter(value, type, ofAny)
  }

  /** @param {import('@duckdb/node-api').DuckDBDataChunk} chunk @param {number} place */
  const read = (chunk, place) => chunk.convertRowValues(place, converted)

  if (format === 'csv') {
    return {
      read,
      texts,
      begin: `${names.map(cell).join(',')}\n`,
      row: (/** @type {unknown[]} */ row) => `${texts(row).map(cell).join(',')}\n`,
      end: '',
    }
  }
  const keys = names.map((name) => JSON.stringify(name))
  return {
    read,
    texts,
    begin: '[',
    row: (/** @type {unknown[]} */ row, /** @type {boolean} */ first) => {
      const members = row.map((value, column) => `${keys[column]}:${JSON.stringify(value)}`)
      return `${first ? '\n' : ',\n'}{${members.join(',')}}`
    },
    end: '\n]\n',
  }
}

/**
 * Values as texts; what is nested is JSON.
 *
 * @param {unknown[]} row
 * @returns {(string | null)[]}
 */
function texts(row) {
  return row.map((value) => {
    if (value === null || value === undefined) return null
    return typeof value === 'object' ? JSON.stringify(value) : String(value)
  })
}

/** @param {string | null} text */
function cell(text) {
  if (text === null) return ''
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

module.exports = { createWriter }
