/** Domain XML from an enemy, for tests. */
export const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

/** A domain with these disks. */
export function domain(disks: string, name = 'web'): string {
  const head = `<domain type='kvm'><name>${name}</name><uuid>${UUID}</uuid>`;
  return `${head}<devices>${disks}</devices></domain>`;
}

/** A disk that is a path. */
export function file(path: string, target = 'vda'): string {
  return `<disk type='file'><source file='${path}'/><target dev='${target}'/></disk>`;
}

const BILLION = Array.from({ length: 9 }, (_, n) =>
  n === 0 ? '<!ENTITY l0 "lol">' : `<!ENTITY l${n} "${`&l${n - 1};`.repeat(10)}">`,
).join('');

/** By what is odd about them; each is refused. */
export const ENEMIES: Readonly<Record<string, string>> = {
  'a billion laughs': `<!DOCTYPE d [${BILLION}]>${domain('', '&l8;')}`,
  'an external entity': `<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>${domain('', '&x;')}`,
  'an external definition': `<!DOCTYPE d SYSTEM "http://127.0.0.1/d.dtd">${domain('')}`,
  'a parameter entity': `<!DOCTYPE d [<!ENTITY % x SYSTEM "file:///dev/zero"> %x;]>${domain('')}`,
  'an entity that nobody defines': domain(file('/&evil;')),
  nothing: '',
  'no XML': 'rm -rf /',
  'another document': '<network/>',
  'two documents': domain('') + domain(''),
  'words behind it': `${domain('')}; reboot`,
  'no end': domain('').slice(0, -3),
  'five million characters': domain('', 'x'.repeat(5_000_000)),
  'deep nesting': '<a>'.repeat(100_000),
  'four million characters of tags': domain('<a/>'.repeat(1_000_000)),
  'ten thousand disks': domain(file('/a').repeat(10_000)),
  'a hundred thousand disks': domain('<disk type="file"/>'.repeat(100_000)),
  'a disk without a target': domain(file('/a', '')),
  'a name of an element without an end': `<${'a'.repeat(4_000_000)}`,
  'a name of an element that is closed otherwise': `<a></${'b'.repeat(4_000_000)}>`,
  'an attribute twice': domain(`<disk type='file' type='block'/>`),
  'a name with a line break': domain('', 'web\nguest.started guest=root'),
  'a name with a line break as a reference': domain('', 'web&#10;guest.started guest=root'),
  'a name with an escape': domain('', 'web\u001b[2J'),
  'a name with an escape as a reference': domain('', 'web&#27;[2J'),
  'a name with a terminal command of one character': domain('', 'web\u009b2J'),
  'a name with a line separator': domain('', 'web\u2028x'),
  'a name with NUL': domain('', 'web\0'),
  'a name with NUL as a reference': domain('', 'web&#0;'),
  'a name without an end': domain('', 'x'.repeat(256)),
  'no UUID': domain('').replace(UUID, '../../../etc/shadow'),
  'a UUID with a line break': domain('').replace(UUID, `${UUID}&#10;x`),
  'a path with a line break': domain(file('/a&#10;b')),
  'a path with a raw line break': domain(file('/a\nb')),
  'a path with a raw tab': domain(file('/a\tb')),
  'a path with NUL': domain(file('/a\0b')),
  'a path of 5000 bytes': domain(file(`/${'a'.repeat(4999)}`)),
  'a path of 5000 bytes in 2500 letters': domain(file(`/${'ü'.repeat(2500)}`)),
  'a path of bytes that are no UTF-8': domain(file('/a\ufffdb')),
  'a path of half a character': domain(file('/a\ud800b')),
  'a path from nowhere': domain(file('../../etc/shadow')),
  'a target with a line break': domain(file('/a', 'vda&#10;x')),
  'a protocol with a path': domain(
    `<disk type='network'><source protocol='../x' name='a'/><target dev='vda'/></disk>`,
  ),
  'a server with a line break': domain(
    `<disk type='network'><source protocol='nbd' name='a'><host name='a&#10;b'/></source>
    <target dev='vda'/></disk>`,
  ),
  'a volume without a pool': domain(
    `<disk type='volume'><source volume='a'/><target dev='vda'/></disk>`,
  ),
  'a pool with NUL': domain(
    `<disk type='volume'><source pool='a\0' volume='a'/><target dev='vda'/></disk>`,
  ),
};
