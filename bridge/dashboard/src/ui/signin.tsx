import { useEffect, useRef, useState } from 'preact/hooks';
import { signIn, signOut, who } from '../data/session';
import { Problem } from '../data/rest';
import { text } from '../text';
import { say, why } from './actions';
import { Brand, Icon } from './icon';

/** What stands in place of the page while nobody is signed in. */
export function SignIn() {
  const name = useRef<HTMLInputElement>(null);
  const [wrong, refuse] = useState('');
  const [busy, work] = useState(false);
  useEffect(() => name.current?.focus(), []);
  const send = async (form: HTMLFormElement): Promise<void> => {
    const given = new FormData(form);
    work(true);
    refuse('');
    try {
      await signIn(String(given.get('name')), String(given.get('password')));
    } catch (e) {
      refuse(e instanceof Problem && e.code === 'unauthorized' ? text.sign.wrong : why(e));
      form.querySelector<HTMLInputElement>('[name=password]')?.select();
    } finally {
      work(false);
    }
  };
  return (
    <main class="signin" id="main" tabIndex={-1}>
      <form data-testid="sign-in" aria-labelledby="h-sign" onSubmit={(e) => {
        e.preventDefault();
        void send(e.currentTarget);
      }}>
        <h1 id="h-sign"><Brand />{text.product}</h1>
        <div><label for="sign-name">{text.sign.name}</label><input ref={name} id="sign-name" name="name" class="in" autocomplete="username" autocapitalize="none" spellcheck={false} required /></div>
        <div><label for="sign-password">{text.sign.password}</label><input id="sign-password" name="password" class="in" type="password" autocomplete="current-password" required /></div>
        {wrong && <p role="alert" class="fault" data-testid="sign-wrong">{wrong}</p>}
        <button class="btn p" disabled={busy}>{text.sign.in}</button>
      </form>
    </main>
  );
}

/** Who is signed in, and the way out; nothing in open mode. */
export function SignedIn() {
  const name = who.value?.name;
  if (!name) return null;
  return (
    <>
      <span class="pill h" data-testid="who">{name}</span>
      <button class="icon" data-testid="sign-out" aria-label={text.sign.out} title={text.sign.out} onClick={() => signOut().catch((e: unknown) => say(why(e)))}><Icon name="out" /></button>
    </>
  );
}
