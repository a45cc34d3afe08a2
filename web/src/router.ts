import { createRouter, createWebHistory } from 'vue-router';
import OverviewPage from './pages/OverviewPage.vue';
import { useToasts } from './stores/toasts';
import { texts } from './texts';

/** The other pages, which are loaded once the first one is shown: then they are there while the server is not. */
const pages = {
  agents: () => import('./pages/AgentsPage.vue'),
  agent: () => import('./pages/AgentPage.vue'),
  tasks: () => import('./pages/TasksPage.vue'),
  task: () => import('./pages/TaskPage.vue'),
  dag: () => import('./pages/DagPage.vue'),
  calls: () => import('./pages/CallsPage.vue'),
  call: () => import('./pages/CallPage.vue'),
  trace: () => import('./pages/TracePage.vue'),
  costs: () => import('./pages/CostsPage.vue'),
  budgets: () => import('./pages/BudgetsPage.vue'),
  budget: () => import('./pages/BudgetPage.vue'),
  newBudget: () => import('./pages/NewBudgetPage.vue'),
  start: () => import('./pages/StartPage.vue'),
  audit: () => import('./pages/AuditPage.vue'),
  memory: () => import('./pages/MemoryPage.vue'),
  prices: () => import('./pages/PricesPage.vue'),
  installation: () => import('./pages/InstallationPage.vue'),
  unknown: () => import('./pages/NotFoundPage.vue'),
};

export function loadOtherPages(): void {
  for (const load of Object.values(pages)) {
    // One that fails is loaded again when it is opened.
    load().catch(() => null);
  }
}

declare module 'vue-router' {
  interface RouteMeta {
    title: string;
    section?: string;
  }
}

/** The paths are routes of the server too: it answers each with the document, and any other path as unknown. */
export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'overview', component: OverviewPage, meta: { title: texts.overview.title, section: 'overview' } },
    {
      path: '/agents',
      name: 'agents',
      component: pages.agents,
      meta: { title: texts.agents.title, section: 'agents' },
    },
    {
      path: '/agents/:agent',
      name: 'agent',
      component: pages.agent,
      props: true,
      meta: { title: texts.agent.title, section: 'agents' },
    },
    { path: '/tasks', name: 'tasks', component: pages.tasks, meta: { title: texts.work.tasks.title, section: 'tasks' } },
    { path: '/tasks/:task', name: 'task', component: pages.task, props: true, meta: { title: texts.work.task.title, section: 'tasks' } },
    { path: '/dags/:dag', name: 'dag', component: pages.dag, props: true, meta: { title: texts.work.dag.title, section: 'tasks' } },
    { path: '/calls', name: 'calls', component: pages.calls, meta: { title: texts.callList.title, section: 'calls' } },
    { path: '/calls/:call', name: 'call', component: pages.call, props: true, meta: { title: texts.call.title, section: 'calls' } },
    { path: '/traces/:trace', name: 'trace', component: pages.trace, props: true, meta: { title: texts.trace.title, section: 'calls' } },
    {
      path: '/costs',
      name: 'costs',
      component: pages.costs,
      meta: { title: texts.costs.title, section: 'costs' },
    },
    {
      path: '/budgets',
      name: 'budgets',
      component: pages.budgets,
      meta: { title: texts.budgets.title, section: 'budgets' },
    },
    { path: '/budgets/new', name: 'new-budget', component: pages.newBudget, meta: { title: texts.budgetForm.title, section: 'budgets' } },
    { path: '/budgets/:budget', name: 'budget', component: pages.budget, props: true, meta: { title: texts.budgetPage.title, section: 'budgets' } },
    { path: '/start', name: 'start', component: pages.start, meta: { title: texts.start.title } },
    {
      path: '/audit',
      name: 'audit',
      component: pages.audit,
      meta: { title: texts.audit.title, section: 'audit' },
    },
    { path: '/memory', name: 'memory', component: pages.memory, meta: { title: texts.memory.title, section: 'memory' } },
    { path: '/prices', name: 'prices', component: pages.prices, meta: { title: texts.prices.title, section: 'prices' } },
    { path: '/settings', name: 'installation', component: pages.installation, meta: { title: texts.installation.title, section: 'installation' } },
    {
      path: '/:unknown(.*)*',
      name: 'unknown',
      component: pages.unknown,
      meta: { title: texts.notFound.title },
    },
  ],
});

// Files of the page are missing if the server is lost, or is of another version by now.
router.onError((_error, to) => {
  const action = { label: texts.errors.reload, run: () => location.assign(to.fullPath) };
  useToasts().show(texts.errors.pageMissing, { isProblem: true, action });
});

router.afterEach((to) => {
  document.title = texts.title(to.meta.title);
});
