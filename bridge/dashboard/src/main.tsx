import { render } from 'preact';
import { connect } from './data/hub';
import { who } from './data/session';
import { text } from './text';
import { Announce } from './ui/announce';
import { Areas, Inbox } from './ui/areas';
import { Dialogs } from './ui/dialogs';
import { Banner, BottomNav, Rail, Toasts, Top } from './ui/frame';
import { listen } from './ui/keys';
import { Activity, Sensors, Topics } from './ui/low';
import { Nodes } from './ui/nodes';
import { Numbers } from './ui/numbers';
import { Health, Waiting } from './ui/side';
import { SignIn } from './ui/signin';
import { Timeline } from './ui/timeline';

function App() {
  if (who.value === null) return <SignIn />;
  return (
    <>
      <a class="vh skip" href="#main">{text.skip}</a>
      <div class="app">
        <Rail />
        <div class="page">
          <Top />
          <Banner />
          <main id="main" tabIndex={-1}>
            <Numbers />
            <div class="left"><Timeline /><Inbox /><Areas /></div>
            <div class="side"><Announce /><Waiting /><Health /><Nodes /></div>
            <div class="low"><Topics /><Activity /><Sensors /></div>
          </main>
        </div>
      </div>
      <BottomNav />
      <Dialogs />
      <Toasts />
    </>
  );
}

render(<App />, document.getElementById('root')!);
listen();
connect();
