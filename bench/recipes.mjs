// The same addresses and numbers through the same rules by Node's crypto, one core: bench/recipes_bench.c.
//     node bench/recipes.mjs [records]
import { createHash } from 'node:crypto';

const records = Number(process.argv[2] ?? 1000000);
const hash = text => createHash('sha256').update(text).digest('hex');
const hashed = /^\s*[0-9a-fA-F]{64}\s*$/;
const address = /^[^\s@]+@[^\s@]+$/;

function googleEmail(value) {
  if (hashed.test(value)) return value.trim().toLowerCase();
  const email = value.trim().toLowerCase();
  if (!address.test(email)) return null;
  const at = email.lastIndexOf('@'), domain = email.slice(at + 1);
  const gmail = domain === 'gmail.com' || domain === 'googlemail.com';
  return hash(gmail ? email.slice(0, at).replaceAll('.', '') + email.slice(at) : email);
}

function metaEmail(value) {
  if (hashed.test(value)) return value.trim().toLowerCase();
  const email = value.trim().toLowerCase();
  return email ? hash(email) : null;
}

function germanPhone(value) {
  let digits = value.replace(/[\s\-.()/]/g, '');
  if (digits.startsWith('+')) digits = digits.slice(1);
  else if (digits.startsWith('00')) digits = digits.slice(2);
  else if (digits.startsWith('0')) digits = '49' + digits.slice(1);
  return /^[1-9][0-9]{6,14}$/.test(digits) ? hash('+' + digits) : null;
}

function measure(name, rule, make) {
  const values = Array.from({ length: records }, (_, i) => make(i));
  let best = Infinity, sum = 0;
  for (let round = 0; round < 3; round++) {
    const begin = process.hrtime.bigint();
    sum = 0;
    for (const value of values) sum += parseInt(rule(value).slice(0, 8), 16);
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / 1e9);
  }
  console.log(`${name.padEnd(28)} ${(records / best).toFixed(0).padStart(10)} records/s   checksum ${sum}`);
}

const makeAddress = i => ` Jane.Doe.${i}@${i % 3 ? 'example.com' : 'Gmail.com'}`;
const makeNumber = i =>
  `0171 ${String(Math.floor(i / 10000) % 1000).padStart(3, '0')}-${String(i % 10000).padStart(4, '0')}`;
measure('node google_email', googleEmail, makeAddress);
measure('node meta_email', metaEmail, makeAddress);
measure('node phone + google_phone', germanPhone, makeNumber);
