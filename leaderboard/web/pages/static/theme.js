// Sets the theme that was chosen before anything is painted. Without a choice the system's wish counts.
{
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
