/** A list of the vault in part: `next` says where the rest begins. */
interface Page {
  next?: string | null;
}

/** Reads a list of the vault from its first page to its last. */
export async function allPages<P extends Page>(read: (after: string | undefined) => Promise<P>): Promise<P[]> {
  const pages: P[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    pages.push(page);
    after = page.next ?? undefined;
  } while (after !== undefined);
  return pages;
}
