// Whether a number is a multiple of another, as they are written in decimals: 0.3 is three times 0.1.

/** `divisor` is above 0. */
export const isMultipleOf = (value: number, divisor: number): boolean => {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(divisor)) return value % divisor === 0
  const [digits, exponent] = toDecimal(value)
  const [otherDigits, otherExponent] = toDecimal(divisor)
  const shared = Math.min(exponent, otherExponent)
  return (digits * 10n ** BigInt(exponent - shared)) % (otherDigits * 10n ** BigInt(otherExponent - shared)) === 0n
}

/** A number as `digits` times ten to the `exponent`, exactly as it is written. */
const toDecimal = (value: number): [digits: bigint, exponent: number] => {
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return [BigInt(whole + fraction), Number(exponent) - fraction.length]
}
