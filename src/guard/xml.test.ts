import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attribute, child, children, descend, parseXml } from './xml.ts';

function refusal(text: string): string {
  const parsed = parseXml(text);
  assert.ok(!parsed.ok, 'it is refused');
  return parsed.error;
}

test('a tree of elements, with attributes and text', () => {
  const parsed = parseXml(
    "<?xml version='1.0'?><!-- a --><a x='1' y=\"a&amp;b&#x41;\"><b>t<![CDATA[<u>]]></b><b/><c><d/></c></a>",
  );
  assert.ok(parsed.ok);
  const root = parsed.value;
  assert.equal(root.name, 'a');
  assert.equal(attribute(root, 'y'), 'a&bA');
  assert.equal(attribute(root, 'z'), null);
  assert.equal(child(root, 'b')?.text, 't<u>');
  assert.equal(children(root, 'b').length, 2);
  assert.equal(descend(root, 'c', 'd')?.name, 'd');
  assert.equal(descend(root, 'd', 'c'), null);
});

test('what is no document is refused, and so is what makes a small one large', () => {
  assert.match(refusal(''), /document must contain a root element/);
  assert.match(refusal('<a>'), /unclosed tag: a/);
  assert.match(refusal('<a></b>'), /unexpected close tag/);
  assert.match(refusal('<a>&lol;</a>'), /undefined entity/);
  assert.match(
    refusal('<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'),
    /it has a document type declaration \(line 1, column \d+\)/,
  );
  assert.match(refusal('<a b="1" b="2"/>'), /duplicate attribute/);
  assert.match(refusal(`${'<a>'.repeat(257)}`), /nested more than 256 deep/);
  assert.match(refusal(`<a>${'<b/>'.repeat(100_000)}</a>`), /more than 100000 elements/);
  assert.match(refusal(`<a>${' '.repeat(4 * 1024 * 1024)}</a>`), /more than 4194304/);
});

test('a blank in an attribute is a blank: nothing else becomes one', () => {
  for (const between of ['\n', '\r\n', '\t', '\r']) {
    assert.match(refusal(`<a><b c='1${between}2'/></a>`), /a tag has a line break or a tab within/);
  }
  const parsed = parseXml("<a>\n\t<b c='1 2' d='&#10;'/>\r\n</a>\n");
  assert.ok(parsed.ok);
  const b = child(parsed.value, 'b');
  assert.deepEqual([attribute(b, 'c'), attribute(b, 'd')], ['1 2', '\n']);
});

test('names of attributes are no names of objects', () => {
  const parsed = parseXml("<a __proto__='x' constructor='y'/>");
  assert.ok(parsed.ok);
  assert.equal(attribute(parsed.value, 'constructor'), 'y');
  assert.equal(attribute(parsed.value, 'toString'), null);
});
