export function failedOf(output: string): string;
