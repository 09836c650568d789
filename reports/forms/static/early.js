document.documentElement.className = "paged";
