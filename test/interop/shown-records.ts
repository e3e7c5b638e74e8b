/** What `sanlock` shows of records, without what differs between two runs: times and checksums. */
export function withoutTimes(text: string, folder: string): string {
  return text
    .replaceAll(folder, '<dir>')
    .replaceAll(/(timestamp|inp3|checksum|sum) (0x)?[0-9a-f]+/g, '$1 #')
    .replaceAll(/ 0{0,9}[1-9]\d{0,9} (?=\d{4} \d{4})/g, ' # ');
}
