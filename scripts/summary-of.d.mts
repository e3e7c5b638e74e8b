export function summaryOf(output: string): string;
