/** Writes docs/operations/messages.md anew. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MESSAGES_PAGE, messagesText } from './messages-text.ts';

writeFileSync(join(process.env['HOLDFAST_ROOT'] ?? '.', MESSAGES_PAGE), messagesText());
