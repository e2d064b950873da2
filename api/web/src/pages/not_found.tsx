import { useWords } from "../desk.ts";
import { to } from "../route.ts";

export function NotFoundPage() {
  const { t } = useWords();
  return (
    <div class="page narrow">
      <h1 tabIndex={-1}>{t.not_found.title}</h1>
      <p>{t.not_found.lead}</p>
      <p>
        <a href={to.overview}>{t.not_found.back}</a>
      </p>
    </div>
  );
}
