/* Opened from the disk, pages may not start the worker that searches: it runs in a hidden frame instead.
 * From a server, the browser's own workers are used. */
(function () {
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = this.onerror = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((resolve) => {
        const start = () => {
          document.body.appendChild(frame);
          this.inside = frame.contentWindow;
          this.inside.deliver = (data) => {
            const event = new MessageEvent("message", { data });
            this.dispatchEvent(event);
            if (this.onmessage) this.onmessage(event);
          };
          this.inside.started = resolve;
          const page = this.inside.document;
          page.open();
          page.write(
            "<script>window.postMessage = function (data) { window.deliver(data); };" +
              "window.importScripts = function () {};<\/script>" +
              '<script src="' + String(url) + '" onload="window.started()"><\/script>'
          );
          page.close();
        };
        if (document.body) start();
        else document.addEventListener("DOMContentLoaded", start);
      });
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {}
  }

  window.Worker = FrameWorker;
})();
