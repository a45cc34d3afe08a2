import { useRoute, useRouter } from 'vue-router';

/** A part of what the page shows, as the query of its address says it. */
export function useAddress() {
  const [route, router] = [useRoute(), useRouter()];

  function get(name: string): string | null {
    const value = route.query[name];
    return (Array.isArray(value) ? value[0] : value) || null;
  }

  /** Changes parts; one that is null or empty is taken out. A step is one that the browser goes back from. */
  function put(changes: Record<string, string | null>, isStep = false): void {
    const query = { ...route.query, ...changes };
    const kept = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== null && value !== ''));
    void (isStep ? router.push({ query: kept }) : router.replace({ query: kept }));
  }

  return { get, put };
}
