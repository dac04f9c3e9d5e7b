package found

import "path/filepath"

// scanLMStudio looks into publisher/repo. Files above that are no models to LM Studio
// either.
func scanLMStudio(p *place) (found []entry) {
	for _, publisher := range p.folders(p.dir) {
		for _, repo := range p.folders(filepath.Join(p.dir, publisher)) {
			dir := filepath.Join(p.dir, publisher, repo)
			found = append(found, p.flat(publisher+"/"+repo, dir+string(filepath.Separator), p.ggufs(dir))...)
		}
	}
	return found
}
