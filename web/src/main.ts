import { createPinia } from 'pinia';
import { createApp } from 'vue';
import App from './App.vue';
import { loadOtherPages, router } from './router';
import { useSettings } from './stores/settings';
import './style/base.css';
import './style/layout.css';
import './style/parts.css';
import './style/manage.css';
import './style/calls.css';

const app = createApp(App);
app.use(createPinia());
// The theme is set before anything is drawn.
useSettings();
app.use(router);
app.mount('#app');
void router.isReady().then(() => setTimeout(loadOtherPages, 1_000));
