/** Short messages about what was just done. */
export interface Note {
	id: number;
	text: string;
	href?: string;
	link?: string;
	bad?: boolean;
}

class Notes {
	list = $state<Note[]>([]);
	private next = 1;

	add(note: Omit<Note, 'id'>): void {
		const id = this.next++;
		this.list.push({ ...note, id });
		if (!note.bad) setTimeout(() => this.remove(id), 8000);
	}

	remove(id: number): void {
		this.list = this.list.filter((note) => note.id !== id);
	}
}

export const notes = new Notes();
