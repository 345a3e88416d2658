// Before the first paint, so that nothing flashes.
try {
	const settings = JSON.parse(localStorage.getItem('sluice.settings') ?? '{}');
	if (settings.theme === 'light' || settings.theme === 'dark') document.documentElement.dataset.theme = settings.theme;
	if (settings.density === 'compact') document.documentElement.dataset.density = 'compact';
} catch {
	// Without storage the defaults hold.
}
