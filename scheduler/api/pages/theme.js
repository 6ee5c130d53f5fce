// Sets the chosen theme before the first paint. Without a choice the system's preference decides.
(() => {
    const themes = ["auto", "light", "dark"];

    function chosen() {
        try {
            const theme = localStorage.getItem("sluice-theme");
            return themes.includes(theme) ? theme : "auto";
        } catch {
            return "auto"; // storage is switched off
        }
    }

    function show(theme) {
        document.documentElement.dataset.theme = theme;
        const button = document.getElementById("theme");
        if (button)
            button.textContent = `Theme: ${theme}`;
    }

    function next() {
        const theme = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
        show(theme);
        try {
            localStorage.setItem("sluice-theme", theme);
        } catch {
            // holds for this page only
        }
    }

    show(chosen());
    document.addEventListener("DOMContentLoaded", () => {
        show(chosen());
        document.getElementById("theme").addEventListener("click", next);
    });
})();
