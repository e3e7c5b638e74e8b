import { projectFiles, tidy } from './tidy.ts';

const complaints = tidy(projectFiles(process.env['HOLDFAST_ROOT'] ?? '.'));
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;
