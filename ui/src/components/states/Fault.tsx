import { Component, type ErrorInfo, type ReactNode } from 'react';
import { Failure } from './Failure';

interface FaultProps {
  children: ReactNode;
}

/** Catches faults of the pages themselves, so that one view that breaks says so and leaves the rest alone. */
export class Fault extends Component<FaultProps, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidCatch(error: Error, info: ErrorInfo) {
    console.error(error, info.componentStack);
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <Failure error={this.state.error} onRetry={() => { this.setState({ error: null }); }} />;
  }
}
